"""The states of an experiment follow one another, whoever writes them."""

from django.db import migrations

# The content of a draft decides what was checked. So any other change of a checked draft, also one
# that no page of ours makes, takes the check back.
LIFE = """
CREATE FUNCTION experiments_follow_life() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own text[] := ARRAY['status', 'checked_at'];
BEGIN
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
        ('draft', 'checked'), ('checked', 'draft'), ('checked', 'running'),
        ('running', 'stopped'), ('stopped', 'archived')
    ) THEN
        RAISE EXCEPTION 'An experiment that is % cannot become %.', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'experiment_follows_life';
    END IF;
    IF OLD.status = 'checked' AND NEW.status = 'checked'
        AND to_jsonb(NEW) - own IS DISTINCT FROM to_jsonb(OLD) - own
    THEN
        NEW.status := 'draft';
    END IF;
    IF NEW.status = 'draft' THEN
        NEW.checked_at := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER experiment_follows_life BEFORE UPDATE ON experiments_experiment
    FOR EACH ROW EXECUTE FUNCTION experiments_follow_life();

CREATE FUNCTION experiments_take_back_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE experiments_experiment SET status = 'draft'
    WHERE status = 'checked'
        AND id = CASE TG_OP WHEN 'DELETE' THEN OLD.experiment_id ELSE NEW.experiment_id END;
    RETURN NULL;
END $$;
CREATE TRIGGER arm_takes_back_check AFTER INSERT OR UPDATE OR DELETE ON experiments_arm
    FOR EACH ROW EXECUTE FUNCTION experiments_take_back_check();
"""
BACK = """
DROP TRIGGER arm_takes_back_check ON experiments_arm;
DROP FUNCTION experiments_take_back_check();
DROP TRIGGER experiment_follows_life ON experiments_experiment;
DROP FUNCTION experiments_follow_life();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0011_positions_once"),
    ]

    operations = [migrations.RunSQL(LIFE, BACK)]
