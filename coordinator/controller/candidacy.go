package controller

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"barnabas/coordinator/store"
	"barnabas/storage/clock"
)

// stand takes part in elections for as long as the session lasts: it waits while another broker is the controller, and
// tries to become it when there is none. It returns the reason why it stopped.
func (c *Controller) stand(ctx context.Context, session int64) error {
	for {
		data, stat, gone, err := c.o.Store.GetW(ctx, store.ControllerPath)
		if errors.Is(err, store.ErrNoNode) {
			if err := c.candidate(ctx, session); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if stat.Owner == session {
			if err := c.abdicate(ctx, session); err != nil {
				return err
			}
			continue
		}
		if now, err := store.DecodeController(data); err == nil {
			c.o.Logger.Info("another broker is the controller", zap.Int32("broker", now.BrokerID))
		}
		c.trouble.over()
		select {
		case <-gone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// abdicate removes this session's own node: a term was cut short by an error, or it began without our hearing of it. Only
// a new election makes a new fence. The epoch is read before the node is looked at again, so that the node of a successor
// cannot go by mistake.
func (c *Controller) abdicate(ctx context.Context, session int64) error {
	_, version, err := c.lastEpoch(ctx)
	if err != nil {
		return err
	}
	stat, there, err := c.o.Store.Exists(ctx, store.ControllerPath)
	if err != nil || !there || stat.Owner != session {
		return err
	}
	_, err = c.o.Store.Multi(ctx, store.Check(store.ControllerEpochPath, version), store.Delete(store.ControllerPath, store.AnyVersion))
	if errors.Is(err, store.ErrNoNode) || errors.Is(err, store.ErrBadVersion) {
		return nil
	}
	return err
}

// candidate tries to become the controller, and if it does, reigns. nil means that another was faster, or that the term
// has come to an orderly end and the next election may be held.
func (c *Controller) candidate(ctx context.Context, session int64) error {
	epoch, version, err := c.lastEpoch(ctx)
	if err != nil {
		return err
	}
	me := store.EncodeController(store.Controller{BrokerID: c.o.Self, Timestamp: clock.Millis(c.o.Clock)})
	results, err := c.o.Store.Multi(ctx,
		store.Create(store.ControllerPath, me, store.Ephemeral),
		store.Set(store.ControllerEpochPath, store.EncodeControllerEpoch(epoch+1), version))
	if errors.Is(err, store.ErrNodeExists) || errors.Is(err, store.ErrBadVersion) {
		return nil
	}
	if err != nil {
		return err
	}
	c.trouble.info("elected as controller", zap.Int32("broker", c.o.Self), zap.Int32("controllerEpoch", epoch+1))
	err = c.runTerm(ctx, session, epoch+1, results[1].Stat.Version)
	if errors.Is(err, errFenced) {
		c.o.Logger.Info("no longer the controller", zap.Error(err))
		return nil
	}
	return fmt.Errorf("its term has ended: %w", err)
}

// lastEpoch is the epoch of the last controller that there was, with the version of its node, which is made if need be.
func (c *Controller) lastEpoch(ctx context.Context) (epoch, version int32, err error) {
	for {
		data, stat, err := c.o.Store.Get(ctx, store.ControllerEpochPath)
		if err == nil {
			epoch, err = store.DecodeControllerEpoch(data)
			return epoch, stat.Version, err
		}
		if !errors.Is(err, store.ErrNoNode) {
			return 0, 0, err
		}
		_, err = c.o.Store.Create(ctx, store.ControllerEpochPath, store.EncodeControllerEpoch(0), store.Persistent)
		if err != nil && !errors.Is(err, store.ErrNodeExists) {
			return 0, 0, err
		}
	}
}

// controllerChanged: the node /controller has changed or gone.
type controllerChanged struct{}

// handle ends the term if somebody has removed the node: that is how an operator moves the controller.
func (controllerChanged) handle(t *term) error {
	_, stat, c, err := t.o.Store.GetW(t.ctx, store.ControllerPath)
	if errors.Is(err, store.ErrNoNode) || err == nil && stat.Owner != t.session {
		return errFenced
	}
	if err != nil {
		return err
	}
	t.watches.add(c, controllerChanged{})
	return nil
}
